"""What a trained model does on evaluation rows, beyond its metrics: baselines, calibration, cold ids, importance."""
