"""What a trained model does on evaluation rows, beyond its metrics: anchors, calibration, cold ids, importance."""
